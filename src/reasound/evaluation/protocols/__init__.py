"""The field's measures: published networks that listen and look, each read from a file that the user has.

Nothing here downloads. Every value that comes from one of these networks carries the network's protocol id, because a
Frechet distance on one network says nothing about another.
"""

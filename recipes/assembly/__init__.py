"""What recipes/assemble_sounds.py needs: archives of many kinds, packages, and sounds as the library holds them."""

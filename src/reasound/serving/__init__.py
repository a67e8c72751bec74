"""The doors that stay open: the HTTP API, its worker, the studio in the browser."""

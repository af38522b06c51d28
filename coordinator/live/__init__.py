"""The live page: what it shows, read from the store while somebody watches."""

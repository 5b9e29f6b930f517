"""What `keyfob install` writes into other programs' configuration, and how it is taken back."""

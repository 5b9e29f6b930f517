"""A new plugin, as `keyfob plugin new` writes it: what it may be called, and the files of each kind.

Its files are below `templates`: those of `shared`, and those of the kind. `$word` stands for what names.py and files.py
make of the name, NAME in a path for the name itself.
"""

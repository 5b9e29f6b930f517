"""Plugins that each break one rule of the contract kit and no other: the kit has to fail each with the rule's name.

The key of each is the rule that it breaks. They are what not to do; nothing but the kit's own tests uses them.
"""

"""`requires_openai_auth`: the OpenAI login, as Codex stores it and shares it with us.

plugin.py is what core loads; warm.py is what answers `keyfob token` when there is nothing to do.
"""

"""`[model_providers.<id>.oauth]`: a login at any OAuth server: in the browser, with a code, or with a client secret.

plugin.py is what core loads; sign_in.py and rotation.py are imported when somebody signs in, or a login is renewed.
"""

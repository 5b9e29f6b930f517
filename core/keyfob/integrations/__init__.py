"""One small module for each library that keyfob can sign for."""

"""The studio: one person, one clip, all three stages in the browser."""

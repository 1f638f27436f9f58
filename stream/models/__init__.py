"""Which model a worker serves: announcements followed, promotions made."""

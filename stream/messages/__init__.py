"""What is on the wire: clicks in, lists and announcements out, and the rules a click must keep."""

"""What the one HTML page has beside tables: what the runs' predictions tell, drawings in it, and its template."""

"""What the measurements stand on: a database server of their own, processor time, and where results are written."""

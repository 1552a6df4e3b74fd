"""What ClickHouse's handler is made of."""

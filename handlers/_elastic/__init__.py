"""What Elasticsearch's and Logstash's handlers have in common."""

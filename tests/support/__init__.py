"""What several tests share; never collected itself."""

"""What this project writes and works with: opsets, engines, versions."""

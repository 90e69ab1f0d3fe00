"""What runs on workers, block by block: plain values in and out."""

"""Running programs that nobody has read: screened by syntax, locked in by the kernel, watched from outside."""

"""`python -m engine` is `alchemist`."""

from engine.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m plait`` does what the command ``plait`` does."""

from plait.cli.app import main

if __name__ == "__main__":
    main()

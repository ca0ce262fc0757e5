"""``python -m homeport``: the same program as ``homeport``."""

from homeport.cli.main import main

if __name__ == "__main__":
    main()

"""Tune-AT's command line: `python run.py --help`."""

from tune_at.cli.main import main

if __name__ == "__main__":
    main()

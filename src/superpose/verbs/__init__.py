"""What superpose does, one function a command: names and settings in, one result out.

Each file holds one verb. `superpose` itself offers them and imports each when it is asked for, so
that none pays for what another needs. Settings are frozen dataclasses (`verbs/settings.py`); the
command line unfolds them into its options.
"""

"""The detail pane and its tabs, one module each."""

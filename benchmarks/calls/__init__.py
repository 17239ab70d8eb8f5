"""One module per family: its `Calls` has a method for each case, which answers when everything has been consumed."""

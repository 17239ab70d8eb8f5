"""The single import hook: importing this module switches autolog on for every framework with a plugin.

    import autotrace.auto

Before or after the frameworks are imported, any number of times. It imports no framework, reads no file, starts
no thread: settings are read when the first framework wakes its plugin.
"""

from .activation import autolog

autolog()

"""pot-sim: pot's command line on Linux namespaces, for development, demo and tests.

A second small house with its own front doors: `pot-sim` (`__main__`) makes and tends a root, and that root's `bin`
holds `pot` and the host commands a driver calls. It knows pot, not the driver.

Not here: anything of the driver; nothing in here is imported by it.
"""

__version__ = "0.12.0"

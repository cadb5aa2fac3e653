"""The appointment service of a physical therapy clinic."""

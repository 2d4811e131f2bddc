"""The processes that make up Bitfront on one machine."""

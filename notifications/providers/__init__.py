"""Those who carry messages outside: one file per provider, behind one contract (``base``)."""

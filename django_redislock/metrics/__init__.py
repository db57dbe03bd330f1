"""How often names are locked, waited for and held: counted by family, shared by all processes."""

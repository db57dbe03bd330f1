"""What tests share: a proxy that fails on demand, real processes, a checker of histories."""

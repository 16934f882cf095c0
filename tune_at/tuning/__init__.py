"""The sweep layer around Ray Tune. Only this package imports Ray."""

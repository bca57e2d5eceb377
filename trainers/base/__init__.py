"""Base classes and parts that the methods of trainers/ share."""

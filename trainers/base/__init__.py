"""Base classes of the methods in trainers/, and the parts that they share."""

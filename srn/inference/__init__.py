"""Restoring photographs: the `Deblurrer`, reading and writing image files, the command `srn-deblur`."""

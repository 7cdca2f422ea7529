"""Training and evaluation of several models under equal conditions: `python -m srn.ablation`.

`candidates` defines the models, `runs` trains and scores them with `srn.train` and `srn.evaluate`, `report`
writes tables, `plot` draws curves.
"""

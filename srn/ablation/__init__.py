"""Several models trained and scored under equal conditions: `python -m srn.ablation`.

`candidates` says which models there are to compare, `runs` trains and scores them, `report` writes what came
of it, `plot` draws it. All training is `srn.train`, all scores are `srn.evaluate`.
"""

"""Evaluation of embeddings: controls, linear and kNN scores, temporal stability, forecast skill, structure.

May import `mofore.training` and the rooms before it. Only `forecast_inputs` and `paper_forecasts` need torch.
"""

"""Uses of labels. The analyses do not know each other."""

__all__: list[str] = []

from hypothesis import settings

settings.register_profile("neuronym", deadline=None)
settings.load_profile("neuronym")

import os

os.environ["FOOTFALL_STORE"] = "memory://"

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from footfall import FootfallMiddleware, FootfallWSGIMiddleware

application = FootfallWSGIMiddleware(get_wsgi_application(), site="example.com")
asgi_application = FootfallMiddleware(get_asgi_application(), site="example.com")

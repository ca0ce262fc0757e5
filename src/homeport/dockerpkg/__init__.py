"""Trees of docker-pkg, read as they are: built, published, checked and converted.

docker-pkg is Wikimedia's tool for trees of image directories, each with a Dockerfile template and
a Debian changelog. Sources of its rules: docker-pkg 4.0.4. Not for Dockerfiles outside such a
tree (``homeport.buildkit``) nor for recipes by themselves (``homeport.building``).
"""

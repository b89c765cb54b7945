"""The Docker Engine API as a face: Docker's paths, shapes, status codes and words over the same services and rights as REST.

Source of shapes and texts: Docker Engine 20.10 (API 1.41) and its later API versions; ``docs/docker-compatibility.md`` lists what differs.
"""

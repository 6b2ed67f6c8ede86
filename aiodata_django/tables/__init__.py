"""The ORM shell: model classes built from the schema."""

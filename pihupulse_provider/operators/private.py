"""Personal template fields: rendered for the task, never stored as rendered."""

from __future__ import annotations

from typing import Any, ClassVar


class Private:
    """A rendered value that shows itself to nobody but the task."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "[personal data]"


class PrivateFieldsMixin:
    """Keeps what ``private_fields`` are rendered to out of the rendered templates.

    Airflow stores each rendered template field in its database, where everybody with access to the task sees it
    (seen on Airflow 3.0 to 3.3). Put this class before ``BaseOperator``.
    """

    private_fields: ClassVar[tuple[str, ...]] = ()

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # The one place through which plain and mapped tasks are rendered alike.
        super()._do_render_template_fields(parent, *args, **kwargs)  # type: ignore[misc]
        for name in self.private_fields:
            value = parent.reveal(name)
            if self.is_private(value):
                setattr(parent, name, Private(value))

    def is_private(self, value: Any) -> bool:
        """Return whether what a private field was rendered to may say something of a person."""
        return value is not None

    def reveal(self, name: str) -> Any:
        """Return the value of a private field."""
        value = getattr(self, name)
        return value.value if isinstance(value, Private) else value

"""From the logs of training runs to numbers and pictures: `read` -> `measure` -> `show`, and nothing goes back."""

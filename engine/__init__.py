"""The domain and the order of the stages: task, prompts, programs, label model, distillation, report.

Only light names stand here; `engine.pipeline.run` starts a run.
"""

from engine.label_model.model import LabelModel
from engine.task import LabelingTask
from engine.task_file import read_task, with_overrides

__all__ = ["LabelModel", "LabelingTask", "read_task", "with_overrides"]

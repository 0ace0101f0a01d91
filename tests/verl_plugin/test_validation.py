"""Accuracy of each task on the validation data."""

from mt_grpo_recipe.verl_plugin.validation import RecordingLoader, accuracy_metrics, task_accuracy


def test_recording_loader_keeps_what_was_added_to_the_batches_of_the_last_pass():
    loader = RecordingLoader([{"a": 1}, {"a": 2}])
    for _ in range(2):
        for batch in loader:
            batch["uid"] = batch["a"] * 10
    assert [batch["uid"] for batch in loader.batches] == [10, 20]
    assert len(loader) == 2


def test_the_accuracy_of_a_task_is_the_mean_over_its_samples_of_all_batches():
    batches = [
        {"uid": ["p", "q"], "extra_info": [{"task": "easy"}, {"task": "hard"}]},
        {"uid": ["r"], "extra_info": [{"task": "easy"}]},
    ]
    accuracies_of = {"p": [1.0, 0.0], "q": [0.0, 0.0], "r": [1.0, 1.0]}
    rollouts_of = dict.fromkeys(accuracies_of, 2)
    found = task_accuracy(batches, accuracies_of, rollouts_of, ["extra_info.task"])
    assert found.accuracy_of == found.start_of == {"easy": 0.75, "hard": 0.0}


def test_a_rollout_that_failed_counts_as_wrong_and_no_task_leaves_the_metrics():
    batches = [{"uid": ["p", "q", "r"], "extra_info": [{"task": "sound"}, {"task": "down"}, {"task": "sound"}]}]
    rollouts_of = {"p": 2, "q": 2, "r": 2}
    accuracy_of, start_of = task_accuracy(batches, {"p": [1.0, 1.0], "r": [1.0]}, rollouts_of, ["extra_info.task"])
    assert accuracy_of == {"sound": 0.75, "down": 0.0}
    assert start_of == {"sound": 1.0}, "a floor that starts from an accuracy of 0 would hold whatever happens"
    assert accuracy_metrics(accuracy_of, ["sound", "down"])["val-core/mt_grpo/worst_task_acc"] == 0.0


def test_worst_and_average_are_over_the_trained_tasks():
    tasks = ["easy", "x_y", "without data"]
    assert accuracy_metrics({"easy": 0.75, "x_y": 0.25, "other": 0.0}, tasks) == {
        "val-core/mt_grpo/acc/easy": 0.75,
        "val-core/mt_grpo/acc/x-y": 0.25,
        "val-core/mt_grpo/acc/other": 0.0,
        "val-core/mt_grpo/worst_task_acc": 0.25,
        "val-core/mt_grpo/avg_acc": 0.5,
    }


def test_a_task_of_the_validation_data_alone_does_not_take_the_name_of_a_trained_one():
    metrics = accuracy_metrics({"x/y": 0.0, "x_y": 1.0}, ["x_y"])
    assert metrics["val-core/mt_grpo/acc/x-y"] == metrics["val-core/mt_grpo/worst_task_acc"] == 1.0
    assert metrics["val-core/mt_grpo/acc/x-y-2"] == 0.0


def test_without_a_trained_task_there_is_no_worst_and_no_average():
    assert accuracy_metrics({"other": 0.5}, ["easy"]) == {"val-core/mt_grpo/acc/other": 0.5}

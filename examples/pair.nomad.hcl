# Two tasks of a group share /alloc: the leader waits for the other one and writes; that one reads until the leader ends.

variable "images" {
  type    = string
  default = "file:///tmp/pots/images"
}

job "pair" {
  datacenters = ["*"]
  type        = "batch"

  group "pair" {
    task "writer" {
      driver = "pot"
      leader = true

      config {
        image        = var.images
        pot          = "shell"
        tag          = "1.0"
        network_mode = "host"
        command      = "/bin/sh"
        args         = ["/local/write.sh"]
      }

      template {
        destination = "local/write.sh"
        data        = <<-EOT
          until [ -e /alloc/data/lines ]; do
            sleep 1
          done
          for line in one two three; do
            echo $line >> /alloc/data/lines
            sleep 1
          done
        EOT
      }

      resources {
        memory = 64
      }
    }

    task "reader" {
      driver       = "pot"
      kill_timeout = "2s"

      config {
        image        = var.images
        pot          = "shell"
        tag          = "1.0"
        network_mode = "host"
        command      = "/bin/sh"
        args         = ["/local/read.sh"]
      }

      template {
        destination = "local/read.sh"
        data        = <<-EOT
          touch /alloc/data/lines
          exec tail -f /alloc/data/lines
        EOT
      }

      resources {
        memory = 64
      }
    }
  }
}
